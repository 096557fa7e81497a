package main

// Figures of others, to be printed beside ours. They come from other runs:
// their ratios to their own baseline can be compared, their milliseconds only
// roughly.

// rivalRewriters were measured on 2026-11-21 on two cores, each as CPU of the
// server's process above that server's own passthrough, paired, for a page of
// 100 KB with 63 media URLs: nginx 1.22.1; replace-response f92bc7d in Caddy
// 2.11.9; Apache 2.4 of Debian 12; lol-html 3.0.4 in workerd.
var rivalRewriters = [][]string{
	{"elsewhere measured, ms of CPU added per such page", ""},
	{"nginx sub_filter, 1 / 3 literals", "0.042 / 0.056"},
	{"Caddy replace-response, 3 literals, buffered / stream", "0.304 / 0.397"},
	{"Apache mod_substitute, 3 literals", "0.270"},
	{"Apache mod_proxy_html", "1.95"},
	{"lol-html in workerd, no match / 9 attribute selectors", "0.304 / 1.84"},
}

// rivalUpload is what an alternative adds to an upload on plain disk, with each
// S3 request delayed by 0, 10 and 25 ms.
type rivalUpload struct {
	name    string
	added   map[string][3]float64 // ms, by size
	addedIn map[string]string     // CPU in ms, by size
}

// rivalUploads were measured on 2026-11-21 on WordPress 6.5.5, two cores, PHP
// 8.2.36 FPM with GD, versitygw, plain Caddy 2.11.9: median of ten paired
// differences to the same WordPress on plain disk. CPU is that of PHP and, for
// s3fs, its daemon, above plain disk; the range is over the three delays (for
// S3-Uploads and s3fs without and with 25 ms). WP Offload Media in a quiet run;
// the others in a noisier one, in which it took 1.4 to 3 times as long.
var rivalUploads = []rivalUpload{
	{
		"WP Offload Media Lite 3.2.11",
		map[string][3]float64{small: {26, 56, 104}, medium: {31, 107, 211}, large: {60, 180, 316}},
		map[string]string{small: "14–15", medium: "22–33", large: "19–66"},
	},
	{
		"S3-Uploads",
		map[string][3]float64{small: {87, 496, 1020}, medium: {139, 750, 1481}, large: {294, 1159, 2180}},
		map[string]string{small: "40–143", medium: "70–272", large: "113–476"},
	},
	{
		"s3fs 1.90",
		map[string][3]float64{small: {125, 625, 1352}, medium: {225, 1106, 2352}, large: {470, 1722, 3406}},
		map[string]string{small: "50–161", medium: "104–355", large: "199–748"},
	},
}

// pluginCPU is the least that WP Offload Media added per upload, in ms.
var pluginCPU = map[string]float64{small: 14, medium: 22, large: 19}

// pluginDelete is what WP Offload Media adds to a delete of a small picture, in
// ms with delays of 0, 10 and 25 ms, in one DeleteObjects request.
var pluginDelete = [3]float64{12, 24, 43}
