package native

// Place is that of mipsel64.
const Place = 10
