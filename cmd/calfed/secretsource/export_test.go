package secretsource

import "time"

// SetPatience makes what is on its way count as refused after another time. Call it before Run.
func (s *Source) SetPatience(d time.Duration) { s.patience = d }
