//go:build !(386 || amd64 || arm || arm64 || loong64 || mips || mipsle || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package native

// Place is that of x86_64, for processors that Linux does not run on (wasm).
const Place = 1
