// Package monban is the front door for Go programs that want to give up system calls.
//
//	policy, err := monban.Parse(`
//		include @go-runtime        # what the Go runtime itself needs
//		allow read write close
//		allow openat(flags & (O_WRONLY|O_RDWR) == 0)
//	`, monban.Options{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	if err := monban.Enforce(policy); err != nil {
//		log.Fatal(err)
//	}
//
// From then on every thread of the program, and everything that it starts, is bound; there is no way back. The policy
// language is described in docs/language.md.
//
// Another program is started behind a policy by Command, as exec.Command starts it without:
//
//	out, err := monban.Command(policy, "convert", "in.png", "out.jpg").CombinedOutput()
package monban
