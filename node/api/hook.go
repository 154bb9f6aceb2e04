package api

// Hook is a script that runs before or after an install, see policy.Hook for the meaning of its fields.
type Hook struct {
	Interpreter    string `json:"interpreter,omitempty"`
	Script         string `json:"script"`
	TimeoutSeconds int    `json:"timeout_seconds"`
	OK             []int  `json:"ok,omitempty"`
	RestartOK      []int  `json:"restart_ok,omitempty"`
}

// Limits of a hook, for those who read one.
const (
	MaxHookBytes       = 16 << 10
	DefaultHookSeconds = 300
)
