package native

// Place is that of mips64.
const Place = 9
