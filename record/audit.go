package record

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"monban/abi"
	"monban/bpf"
)

// A Stream is a place where the kernel's lines about refused calls come together with others'. Which it is decides what
// marks a line as the kernel's own: what a program prints, or has logged, can look like any line.
type Stream struct {
	Name string
	Says string // what it is, for people
	// own is the rest of a line behind the kernel's mark for seccomp; "" is another line of the stream's. An error says
	// that it is none.
	own func(line string) (string, error)
}

// Streams are those that are known.
func Streams() []Stream {
	return []Stream{
		{"audit", "the audit daemon's log, or what ausearch --raw prints of it", ownInAudit},
		{"kmsg", "records of /dev/kmsg", ownInKmsg},
	}
}

// ErrUsers says that lines are of several users' programs, and no user was named.
var ErrUsers = errors.New("a line is of another user's program than those before it")

// maxLine is the longest line of a log that is read, in bytes, and maxLog the longest log.
const (
	maxLine = 1 << 16
	maxLog  = 256 << 20
)

// marks are the patterns of lines.
var marks = sync.OnceValue(func() (p struct{ audit, kmsg, user, body *regexp.Regexp }) {
	p.audit = regexp.MustCompile(`^(?:node=\S+ )?type=(\S+) msg=audit\(\d+\.\d+:\d+\): ?(.*)$`)
	// /dev/kmsg has the facility in the first number, above three bits of urgency. The kernel's is 0, and it lets
	// nobody else write that. What is within a message and no plain text is escaped, a line break too; lines that begin
	// with a space say more of a record.
	p.kmsg = regexp.MustCompile(`^(\d+),\d+,\d+,[^;]*;(?:audit: type=1326 audit\(\d+\.\d+:\d+\): (.*))?`)
	// kernel/auditsc.c, audit_seccomp. The names are in quotation marks, without any or a space in them, or in
	// hexadecimal (audit_log_untrustedstring): nothing that a program chooses is outside of them, and the whole line
	// must be as the kernel writes it.
	const name = `"[!#-~]*"|(?:[0-9A-F]{2})+`
	p.user = regexp.MustCompile(`^auid=\d+ uid=(\d+) gid=`)
	p.body = regexp.MustCompile(`^auid=\d+ uid=\d+ gid=\d+ ses=\d+(?: subj=.*?)? pid=\d+ comm=(` + name + `) exe=(` + name + `|\(null\))` +
		` sig=-?\d+ arch=([0-9a-f]+) syscall=(-?\d+) compat=[01] ip=0x[0-9a-f]+ code=0x[0-9a-f]+$`)
	return p
})

func ownInAudit(line string) (string, error) {
	if line == "----" || strings.HasPrefix(line, "time->") { // ausearch puts these between events
		return "", nil
	}
	m := marks().audit.FindStringSubmatch(line)
	if m == nil {
		return "", errors.New("this is not a line of the audit's log as the kernel writes it (ausearch: with --raw)")
	}
	if m[1] != "SECCOMP" && m[1] != "1326" {
		return "", nil
	}
	text, _, _ := strings.Cut(m[2], "\x1d") // behind it the daemon says in words what stands there
	return strings.TrimRight(text, " "), nil
}

func ownInKmsg(line string) (string, error) {
	if strings.HasPrefix(line, " ") {
		return "", nil
	}
	m := marks().kmsg.FindStringSubmatch(line)
	if m == nil {
		return "", errors.New("this is not a record of /dev/kmsg, which begins such as 5,1774,3110884372,-; (dmesg's lines don't say who wrote them)")
	}
	if urgency, err := strconv.ParseUint(m[1], 10, 32); err != nil || urgency > 7 {
		return "", nil
	}
	return m[2], nil
}

// AddAudit adds the calls that seccomp has refused, or logged, by a log of the kernel's. They have no arguments. The
// log has the lines of every program that has a filter, whoever started it: only those of the users count, and without
// any named the lines must be of one user's programs, else it is ErrUsers. Other lines of the stream are ignored; a
// line that is not the stream's is an error, and so is a log without any refused call. After an error the recording has
// what stands before it.
func (r *Recording) AddAudit(s Stream, name string, in io.Reader, users []int) error {
	lines := bufio.NewScanner(io.LimitReader(in, maxLog+1))
	lines.Buffer(nil, maxLine)
	size, first, found := 0, -1, false
	n := 0
	wrong := func(err error) error { return fmt.Errorf("%s:%d: %w", name, n, err) }
	for n = 1; lines.Scan(); n++ {
		if size += len(lines.Bytes()) + 1; size > maxLog {
			return fmt.Errorf("%s: a log of more than %d MB: take a part of it", name, maxLog>>20)
		}
		line := lines.Text()
		if line == "" {
			continue
		}
		text, err := s.own(line)
		if err != nil {
			return wrong(err)
		}
		if text == "" {
			continue
		}
		uid, err := auditedUser(text)
		switch {
		case err != nil:
			return wrong(err)
		case len(users) > 0 && !slices.Contains(users, uid):
			continue // nor need the rest of others' lines be whole
		case len(users) == 0 && first >= 0 && uid != first:
			return wrong(fmt.Errorf("%w: user %d's, not %d's", ErrUsers, uid, first))
		}
		first, found = uid, true
		l, err := auditLine(text)
		if err != nil {
			return wrong(err)
		}
		r.addWhole(l.arch, &l.data, l.program)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return wrong(fmt.Errorf("a line of more than %d bytes is none of such a log", maxLine))
	case err != nil:
		return wrong(err)
	case !found:
		return fmt.Errorf("%s: no line of it says that seccomp refused a call", name)
	}
	return nil
}

// An auditedCall is what a line of the audit says.
type auditedCall struct {
	arch    abi.Arch
	data    bpf.Data // without arguments
	program string
}

var errAuditLine = errors.New("this line about seccomp is incomplete, or not as the kernel writes it (ausearch: with --raw)")

// auditedUser is whose program a line is about.
func auditedUser(text string) (int, error) {
	m := marks().user.FindStringSubmatch(text)
	if m == nil {
		return 0, errAuditLine
	}
	uid, err := strconv.ParseUint(m[1], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("uid=%s is not a user's number", m[1])
	}
	return int(uid), nil
}

// auditLine reads what the kernel writes of a call that seccomp did not simply allow.
func auditLine(text string) (l auditedCall, err error) {
	m := marks().body.FindStringSubmatch(text)
	if m == nil {
		return l, errAuditLine
	}
	token, err := strconv.ParseUint(m[3], 16, 32)
	if err != nil {
		return l, fmt.Errorf("arch=%s is not an architecture's number", m[3])
	}
	nr, err := strconv.ParseInt(m[4], 10, 64) // the kernel writes it as a signed number
	if err != nil || nr < -1<<31 || nr > 1<<32-1 {
		return l, fmt.Errorf("syscall=%s is not a call's number", m[4])
	}
	l.data = bpf.Data{Arch: uint32(token), Nr: uint32(nr)}
	l.program = auditText(m[1])
	if exe := m[2]; exe != "(null)" {
		exe = auditText(exe)
		l.program = exe[strings.LastIndexByte(exe, '/')+1:]
	}
	var ok bool
	if l.arch, ok = abi.Of(l.data.Arch, l.data.Nr); !ok {
		return l, fmt.Errorf("no architecture has the token %#x", token)
	}
	return l, nil
}

// auditText is a field's text: in quotation marks or, if there is in it what would break the line, in hexadecimal.
func auditText(field string) string {
	if text, quoted := strings.CutPrefix(field, `"`); quoted {
		return strings.TrimSuffix(text, `"`)
	}
	text, _ := hex.DecodeString(field) // the pattern has taken it for such
	return string(text)
}
