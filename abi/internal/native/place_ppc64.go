package native

// Place is that of ppc64.
const Place = 16
