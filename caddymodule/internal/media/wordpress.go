package media

// wordpress is WordPress as its own installer lays it out, alone or as a
// network (multisite) with files below sites/<n>/.
func wordpress() preset { return wordpressIn("wordpress", "wp-content/uploads") }

// bedrock is WordPress as Roots' Bedrock lays it out: DocRoot is its web/
// directory, with the core in wp/ and the content in app/.
func bedrock() preset { return wordpressIn("bedrock", "app/uploads") }

func wordpressIn(name, uploads string) preset {
	return preset{
		name:      name,
		roots:     []presetRoot{{name: "uploads", dir: uploads, lists: wordpressLists("sites/*")}},
		noRewrite: wordpressNoRewrite(),
		mayWrite:  wordpressMayWrite(),
	}
}

func wordpressLists(subsite string) lists {
	return commonLists().with(lists{
		subsite: subsite,
		private: []string{"/woocommerce_uploads/", "/gravity_forms/", "/edd/"},
	})
}

// wordpressNoRewrite are the admin screens and the APIs that editors use. They
// are recognised wherever the core lies (wp/ in Bedrock) and in any site of a
// network.
func wordpressNoRewrite() []requestRule {
	return []requestRule{
		{paths: []string{"wp-admin/"}, except: []string{"admin-ajax.php"}},
	}
}

func wordpressMayWrite() []requestRule {
	return []requestRule{
		{paths: []string{"wp-admin/"}},
	}
}
