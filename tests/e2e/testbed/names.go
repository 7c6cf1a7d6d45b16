package main

import (
	"errors"
	"os"

	"github.com/coredns/caddy"
	// The kind of server, and the plugins that config/Corefile names.
	_ "github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

// names COREFILE is CoreDNS, with what a cluster of one node needs of it.
func names(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: testbed names COREFILE")
	}
	contents, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	input := caddy.CaddyfileInput{Filepath: arguments[0], Contents: contents, ServerTypeName: "dns"}
	server, err := caddy.Start(input)
	if err != nil {
		return err
	}
	server.Wait()
	return nil
}
