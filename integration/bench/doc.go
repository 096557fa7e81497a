// Command bench compares whole processes side by side: this repository's Caddy
// with a Caddy without the module, and with nginx, each with the same app,
// bucket and upstream, in one run.
//
// The machine's speed changes from minute to minute, so nothing here stands
// alone: the contenders take turns in a random order, each round gives one
// difference or ratio, and what is printed is the median of those with the
// quartiles. Processor time is read from the processes' own clocks and counts
// neither the load generator nor the upstream, which run in this process.
//
//	go run ./bench                       all parts, under eight minutes
//	go run ./bench -quick                under two minutes, rougher
//	go run ./bench -parts upload,reads   some of them
//	go run ./bench -profile DIR          processor profiles of the module, too
//	go run ./bench -parts slowuploads -slow 500
//	                                     memory, with fewer uploads
//	go run ./bench -plugin DIR           uploads with WP Offload Media Lite, too
//	go run ./bench -before FILE          only with an earlier build of this Caddy
//
// Targets are printed as met or missed and never fail the run.
package main
