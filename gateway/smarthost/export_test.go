package smarthost

import "time"

// Patience sets how long the server may take for a command, and for a mail that it has got.
func (c *Client) Patience(command, accept time.Duration) { c.command, c.accept = command, accept }
