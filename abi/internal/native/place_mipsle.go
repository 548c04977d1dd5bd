package native

// Place is that of mipsel.
const Place = 8
