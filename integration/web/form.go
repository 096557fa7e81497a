package web

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Form is a form of a page, filled in as the page has it.
type Form struct {
	// Action is the address that it is sent to, as the page has it.
	Action string
	Values url.Values
}

// Forms returns the forms of a page. Buttons and files are left out: they are
// sent only if they are used.
func Forms(page []byte) ([]*Form, error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("reading a page's forms: %w", err)
	}
	var forms []*Form
	byID := map[string]*Form{}
	var current *Form
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		if node.Data == "form" {
			current = &Form{Action: Attribute(node, "action"), Values: url.Values{}}
			forms = append(forms, current)
			byID[Attribute(node, "id")] = current
			continue
		}
		form := byID[Attribute(node, "form")]
		if form == nil {
			form = current
		}
		if name := Attribute(node, "name"); name != "" && form != nil {
			form.fill(node, name)
		}
	}
	return forms, nil
}

// FormWith returns the first form of a page that has a field of that name.
func FormWith(page []byte, field string) (*Form, error) {
	forms, err := Forms(page)
	if err != nil {
		return nil, err
	}
	for _, form := range forms {
		if form.Values.Has(field) {
			return form, nil
		}
	}
	return nil, fmt.Errorf("no form with the field %s on the page: %.2000s", field, page)
}

// fill adds the value of a field as a browser sends it (HTML standard, section
// 4.10.22.4, constructing the entry list).
func (f *Form) fill(node *html.Node, name string) {
	switch node.Data {
	case "input":
		switch strings.ToLower(Attribute(node, "type")) {
		case "submit", "image", "button", "reset", "file":
		case "checkbox", "radio":
			if has(node, "checked") {
				value := Attribute(node, "value")
				if !has(node, "value") {
					value = "on"
				}
				f.Values.Add(name, value)
			}
		default:
			f.Values.Add(name, Attribute(node, "value"))
		}
	case "textarea":
		f.Values.Add(name, text(node))
	case "select":
		f.fillSelect(node, name)
	}
}

func (f *Form) fillSelect(node *html.Node, name string) {
	first, chosen := "", false
	seen := false
	for option := range node.Descendants() {
		if option.Type != html.ElementNode || option.Data != "option" {
			continue
		}
		value := Attribute(option, "value")
		if !has(option, "value") {
			value = text(option)
		}
		if !seen {
			first, seen = value, true
		}
		if has(option, "selected") {
			f.Values.Add(name, value)
			chosen = true
		}
	}
	if !chosen && seen && !has(node, "multiple") {
		f.Values.Add(name, first)
	}
}

// Attribute returns the value of an element's attribute, "" if it has none.
func Attribute(node *html.Node, name string) string {
	for _, attribute := range node.Attr {
		if attribute.Key == name {
			return attribute.Val
		}
	}
	return ""
}

func has(node *html.Node, name string) bool {
	return slices.ContainsFunc(node.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func text(node *html.Node) string {
	var b strings.Builder
	for child := range node.Descendants() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data)
		}
	}
	return b.String()
}
