package native

// Place is that of riscv64.
const Place = 18
