//go:build interop

package interop

import "net"

// scripts is the folder of those that start servers: this one.
const scripts = "."

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
