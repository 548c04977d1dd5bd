package native

// Place is that of x86.
const Place = 0
