package native

// Place is that of mips.
const Place = 7
