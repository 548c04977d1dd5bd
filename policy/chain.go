package policy

import (
	"slices"

	"monban/abi"
	"monban/verdict"
)

// A Chain is the rules that speak of one number of an architecture. It finds those without which the policy would mean
// the same, from the last to the first, each with little more work than its own condition takes.
type Chain struct {
	s       *verdict.Space
	clauses []clause
	conds   []verdict.Node
	before  []verdict.Node // where one of the rules before each applies
	whole   verdict.Verdict

	at    int          // the rules from here on have been looked at
	after verdict.Node // what those of them that were kept answer
}

// Chain is the rules for one number of an architecture, which the policy must speak for. Errors are of type *Error, or
// verdict.ErrTooComplex.
func (d *Decider) Chain(s *verdict.Space, a abi.Arch, nr uint32) (*Chain, error) {
	return verdict.Exact(s, func() (*Chain, error) {
		clauses, err := d.clauses(a, nr)
		if err != nil {
			return nil, err
		}
		do, _, err := d.p.otherwise(a, nr)
		if err != nil {
			return nil, err
		}
		c := &Chain{s: s, clauses: clauses, at: len(clauses), after: s.Action(do)}
		before := verdict.False
		for i := range clauses {
			cond := clauses[i].cond.node(s)
			if clauses[i].any { // it may look at the number
				cond = s.Verdict(cond).Restrict(verdict.Nr, nr).Node()
			}
			c.conds, c.before = append(c.conds, cond), append(c.before, before)
			before = s.Or(cond, before)
		}
		n := c.after
		for i := range slices.Backward(clauses) {
			n = s.If(c.conds[i], s.Action(clauses[i].do), n)
		}
		c.whole = s.Verdict(n)
		return c, nil
	})
}

// Whole is what the rules and headers answer together.
func (c *Chain) Whole() verdict.Verdict { return c.whole }

// Matters says whether the policy would answer otherwise without a rule, an index into its Rules, and without those
// after it that were dropped. Rules are asked for in descending order. One that is not in the chain does not matter.
// The error is verdict.ErrTooComplex.
func (c *Chain) Matters(rule int) (bool, error) {
	return verdict.Exact(c.s, func() (bool, error) {
		for c.at > 0 && c.clauses[c.at-1].rule > rule {
			c.keep()
		}
		if c.at == 0 || c.clauses[c.at-1].rule != rule {
			return false, nil
		}
		i := c.at - 1
		do := c.s.Action(c.clauses[i].do)
		// Where it decides, is what comes after it the same?
		decides := c.s.If(c.before[i], verdict.False, c.conds[i])
		return c.s.If(decides, c.after, do) != do, nil
	})
}

// keep goes by a rule.
func (c *Chain) keep() {
	c.at--
	c.after = c.s.If(c.conds[c.at], c.s.Action(c.clauses[c.at].do), c.after)
}

// Drop goes on without the rule that was last asked for, if it is in the chain.
func (c *Chain) Drop(rule int) {
	if c.at > 0 && c.clauses[c.at-1].rule == rule {
		c.at--
	}
}
