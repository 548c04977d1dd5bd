// Package decompile is the way back from a meaning to a policy: any verdict is written down as one that is proven to
// mean exactly the same, and what is left of a verdict for one call as answers with conditions.
package decompile
