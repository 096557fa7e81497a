// Command media-offload-caddy is Caddy with the standard modules and the
// media_offload handler.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/media-offload/caddy-media-offload/caddymodule"
)

func main() {
	caddycmd.Main()
}
