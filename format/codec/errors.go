package codec

// An Option is something that a caller chooses for reading or writing.
type Option int

const (
	OptionArchs     Option = iota // Options.Archs: other architectures, or fewer of them
	OptionConstants               // Options.Constants
	OptionFormat                  // the format to write
)

// An OptionError says that another choice would help where something cannot be read or written.
type OptionError struct {
	Option Option
	Err    error // what is wrong
}

func (e *OptionError) Error() string { return e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }
