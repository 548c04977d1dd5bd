package native

// Place is that of aarch64.
const Place = 4
