package env

import (
	"context"
	"fmt"
	"net"
	"net/http"
)

// ServeHandler serves h in this process, on a free port, until Close. It
// returns the address, "http://127.0.0.1:1234".
func (e *Env) ServeHandler(h http.Handler) (string, error) {
	port, err := FreePort()
	if err != nil {
		return "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("serving on %s: %w", address, err)
	}
	server := &http.Server{Handler: h}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_ = server.Serve(listener) // always ErrServerClosed
	}()
	e.OnClose(func() error {
		err := server.Close()
		<-finished
		return err
	})
	return "http://" + address, nil
}
