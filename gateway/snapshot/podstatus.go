package snapshot

// PodStatus is what a gateway pod says of itself to the control plane, as JSON, at GET /status of its status listener.
type PodStatus struct {
	IndexUID string      `json:"indexUID"` // of the Secret, "" before the first
	Serial   uint64      `json:"serial"`   // of the index served
	Shards   []ShardRef  `json:"shards,omitempty"`
	Rejected []Rejection `json:"rejected,omitempty"` // what of the newest index is refused, first things first; at most 16
	Blind    string      `json:"blind,omitempty"`    // why the pod hears of nothing newer; no secrets
}

// Rejection is a part of a newer snapshot that a pod refuses; what it served before, it still serves.
type Rejection struct {
	Secret  string `json:"secret"` // the name
	Serial  uint64 `json:"serial,omitempty"`
	Problem string `json:"problem"` // says what is wrong; no secrets
}

// BackendReport answers POST /backend?domain=NAME at the status listener: whether the pod reaches the domain's back end.
type BackendReport struct {
	Domain  string `json:"domain"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"` // what was tried, what was seen, what to do; no secrets
}
