package native

// Place is that of ppc64le.
const Place = 17
