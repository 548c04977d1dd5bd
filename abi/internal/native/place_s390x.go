package native

// Place is that of s390x.
const Place = 20
