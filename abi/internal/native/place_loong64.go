package native

// Place is that of loongarch64.
const Place = 5
