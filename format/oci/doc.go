// Package oci reads the seccomp profiles of containers as a policy, and writes policies as such profiles: Docker's,
// Podman's and CRI-O's, and the plain ones of the OCI runtime specification that containerd and Kubernetes (Localhost)
// take, alone or inside a whole config.json.
//
// Such a profile means what libseccomp, as runc drives it, makes of it: names that an architecture does not have are
// ignored, comparisons are unsigned and 64 bits wide, rules of one call and action are alternatives, an
// unconditional rule beats those with conditions. [Report] tells what was ignored and where upstream leaves the
// meaning open.
//
//	src, err := os.ReadFile("docker.json")
//	if err != nil {
//		return err
//	}
//	p, report, err := oci.Parse("docker.json", src, oci.Options{Caps: []string{"CAP_NET_ADMIN"}})
//	if err != nil {
//		return err // docker.json:12:9: what is wrong (the mend)
//	}
//	for _, name := range report.Unknown {
//		fmt.Println("no such call here:", name)
//	}
//	fmt.Println(p.Archs, len(p.Rules))
//
// The way back is [Compose]: a profile in the specification's fields alone, which every runtime reads, of the same
// meaning. What a profile has no words for is an error.
package oci
