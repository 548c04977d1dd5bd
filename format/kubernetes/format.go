package kubernetes

import (
	"regexp"

	"monban/format/codec"
)

const group = "security-profiles-operator.x-k8s.io"

// Versions are those of the object that are read and written, the newest first. In v1beta1, errnoRet is a string.
var versions = []string{"v1", "v1beta1"}

// Format reads and writes SeccompProfile objects.
func Format() codec.Format {
	return codec.Format{
		Name:  "kubernetes",
		Parts: true,
		Title: "a Kubernetes SeccompProfile",
		About: "objects of the Kubernetes Security Profiles Operator, in YAML or JSON",
		Exts:  []string{".yaml", ".yml"},
		For:   versions,
		Sniff: func(src []byte) bool { return apiVersion().Match(src) },
		Read:  read,
		Write: write,
	}
}

var apiVersion = codec.Lazy(`(?m)(?:^[-\s]*|[{,]\s*)["']?apiVersion["']?\s*:\s*["']?` + regexp.QuoteMeta(group) + `/`)
