package record

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"monban/abi"
	"monban/bpf"
	"monban/policy"
)

// Patterns of lines that speak of a refused call.
var denials = sync.OnceValue(func() (p struct{ audit, field, killed *regexp.Regexp }) {
	p.audit = regexp.MustCompile(`type=(SECCOMP|1326)\b`)
	p.field = regexp.MustCompile(`\b(arch|syscall|comm|exe)=("[^"]*"|\S+)`)
	p.killed = regexp.MustCompile(`^monban: killed: (.*?)(?: of (\w+))? by (.*) \(process \d+\)`)
	return p
})

// maxLine is the longest line of a log that is read, in bytes.
const maxLine = 1 << 16

// Denials reads the calls that a gate has refused from a log: lines of the kernel's audit of seccomp (ausearch -m SECCOMP, dmesg), which
// name the call without its arguments, and what monban run says of a killed one. Other lines are passed over. It is an error if
// there is none of either kind.
func Denials(name string, in io.Reader) (*Recording, error) {
	rec := New([]string{"the denials in " + name}, "from a log")
	rec.Denied = true
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	n := 0
	for n = 1; lines.Scan(); n++ {
		line := lines.Text()
		if m := denials().killed.FindStringSubmatch(line); m != nil {
			on := abi.Native()
			var err error
			if m[2] != "" {
				on, err = abi.ParseArch(m[2])
			}
			var call policy.Call
			if err == nil {
				call, err = policy.ParseCall(on, m[1])
			}
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n, err)
			}
			rec.Add(call.Arch, &call.Data, m[3])
			continue
		}
		if !denials().audit.MatchString(line) {
			continue
		}
		a, d, program, err := auditLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		rec.addWhole(a, d, program)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: a line of more than %d bytes is none of a log of denials", name, n, maxLine)
	case err != nil:
		return nil, fmt.Errorf("%s:%d: %w", name, n, err)
	case len(rec.Calls) == 0:
		return nil, fmt.Errorf("%s: no refused call is in it: lines of the kernel's audit have type=SECCOMP or type=1326, those of monban run begin with monban: killed: and the call", name)
	}
	return rec, nil
}

// auditLine reads what the kernel writes of a call that seccomp refused (kernel/auditsc.c, audit_seccomp).
func auditLine(line string) (a abi.Arch, d *bpf.Data, program string, err error) {
	fields := map[string]string{}
	for _, m := range denials().field.FindAllStringSubmatch(line, -1) {
		if fields[m[1]] = m[2]; m[1] == "comm" || m[1] == "exe" {
			fields[m[1]] = auditText(m[2])
		}
	}
	token, err := strconv.ParseUint(fields["arch"], 16, 32)
	if err != nil {
		return 0, nil, "", errors.New("this line of the audit has no arch=, in hexadecimal")
	}
	nr, err := strconv.ParseUint(fields["syscall"], 10, 32)
	if err != nil {
		return 0, nil, "", errors.New("this line of the audit has no syscall=, a number")
	}
	d = &bpf.Data{Arch: uint32(token), Nr: uint32(nr)}
	a, ok := abi.Of(d.Arch, d.Nr)
	if !ok {
		return 0, nil, "", fmt.Errorf("no architecture has the token %#x", token)
	}
	program = fields["comm"]
	if exe := fields["exe"]; exe != "" {
		program = exe[strings.LastIndexByte(exe, '/')+1:]
	}
	return a, d, program, nil
}

// auditText is a field's text: in quotation marks or, if there is in it what would break the line, in hexadecimal
// (audit_log_untrustedstring).
func auditText(field string) string {
	if text, quoted := strings.CutPrefix(field, `"`); quoted {
		return strings.TrimSuffix(text, `"`)
	}
	if text, err := hex.DecodeString(field); err == nil {
		return string(text)
	}
	return field
}

// addWhole takes in a call of which the arguments are not known.
func (r *Recording) addWhole(a abi.Arch, d *bpf.Data, program string) {
	r.Made++
	k := Key{a, d.Nr}
	c := r.Calls[k]
	if c == nil {
		name, _ := a.Name(d.Nr)
		c = &Call{Programs: map[string]uint64{}, Example: *d, Values: make([]Values, len(Matter(a, name)))}
		r.Calls[k] = c
	}
	c.Count++
	c.Programs[program]++
	for i := range c.Values {
		c.Values[i] = Values{Many: true}
	}
}
