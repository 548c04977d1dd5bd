package native

// Place is that of x86_64.
const Place = 1
