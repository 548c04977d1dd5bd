package jsontree_test

import (
	"testing"

	"monban/format/codec"
	"monban/format/jsontree"
)

func TestParse(t *testing.T) {
	v, err := jsontree.Parse(codec.NewSource("f", []byte(" {\"a\": [1, \"x\", null]}")), "profile")
	if err != nil || v.Kind != jsontree.Object {
		t.Fatal(v, err)
	}
	a := v.Member("a")
	if a == nil || a.Off != 2 || a.Val.Off != 7 || len(a.Val.Items) != 3 || a.Val.Items[1].Text != "x" || v.Member("b") != nil {
		t.Fatalf("%+v", a)
	}
	_, err = jsontree.Parse(codec.NewSource("f", []byte(`{"a": 1} 2`)), "thing")
	if err == nil || err.Error() != "f:1:10: unexpected text after the end of the thing (remove it)" {
		t.Error(err)
	}
}
