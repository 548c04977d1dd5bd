package native

// Place is that of arm.
const Place = 3
