package env

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the range that Linux hands out to outgoing
// connections, so that a server that is killed and started again finds its
// port free.
const firstPort, lastPort = 12000, 30000

var handedOut sync.Map

// FreePort returns a TCP port of the loopback address that nobody listens on,
// and that this process has not handed out before. UDP is free there too.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !portFree(port) {
			continue
		}
		if _, taken := handedOut.LoadOrStore(port, true); !taken {
			return port, nil
		}
	}
	return 0, fmt.Errorf("finding a free port between %d and %d: all tries failed", firstPort, lastPort)
}

func portFree(port int) bool {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	udp.Close()
	return true
}
