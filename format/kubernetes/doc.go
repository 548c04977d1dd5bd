// Package kubernetes reads and writes SeccompProfile objects of the Kubernetes Security Profiles Operator
// (security-profiles-operator.x-k8s.io, v1 and v1beta1), in YAML or JSON.
//
// Such an object is a profile of the OCI runtime specification, which the operator writes to a file on each node, and
// means what package oci makes of that. It says less: numbers are below 2^63, the default action has no errno of its
// own, an errno of 0 is one that is not given, and a base profile that it names is not at hand here.
//
//	in := &codec.Input{Name: "profile.yaml", Src: src, Options: codec.Options{Native: abi.X86_64}}
//	g, err := kubernetes.Format().Read(in)
//	if err != nil {
//		return err // profile.yaml:7:3: what is wrong (the fix)
//	}
//	fmt.Println(g.Policy.Archs, len(g.Policy.Rules))
package kubernetes
