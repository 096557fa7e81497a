package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/media-offload/caddy-media-offload/integration/env"
)

// hookHeader is the field of an answer that tells the processor time, in ms,
// which the plugin took where it stores files.
const hookHeader = "X-Bench-Hook"

// pluginSite is a WordPress with WP Offload Media Lite, which keeps local files
// as it does by default.
func (b *bench) pluginSite(db *env.MariaDB, php *env.PHP, store *env.DelayProxy, server *env.S3Server) (*wordpressSite, error) {
	bucket, err := server.NewBucket("plugin", "")
	if err != nil {
		return nil, err
	}
	if _, err := bucket.Publish(); err != nil {
		return nil, err
	}
	settings := fmt.Sprintf(`define('AS3CF_SETTINGS', serialize(array(
	'provider' => 'aws', 'access-key-id' => '%s', 'secret-access-key' => '%s', 'bucket' => '%s', 'region' => '%s',
	'copy-to-s3' => true, 'serve-from-s3' => true, 'use-bucket-acls' => false, 'remove-local-file' => false,
)));
`, server.AccessKey, server.SecretKey, bucket.Name, server.Region)
	s, err := b.wordpressSite(db, php, "plugin", b.plainCaddy, noDirective, settings)
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(s.Dir, "wp-content/plugins/amazon-s3-and-cloudfront")
	if err := os.CopyFS(tree, os.DirFS(b.options.plugin)); err != nil {
		return nil, fmt.Errorf("copying the plugin: %w", err)
	}
	// Below it the plugin stores the files: its processor time there can be told
	// from that of making them, which varies by more.
	hooks := fmt.Sprintf(`<?php
add_filter('wp_update_attachment_metadata', function ($data) {
	$GLOBALS['bench_begun'] = bench_cpu();
	return $data;
}, 109);
add_filter('wp_update_attachment_metadata', function ($data) {
	$GLOBALS['bench_sum'] = ($GLOBALS['bench_sum'] ?? 0) + bench_cpu() - $GLOBALS['bench_begun'];
	headers_sent() || header('%s: ' . $GLOBALS['bench_sum']);
	return $data;
}, 111);
function bench_cpu() {
	$used = getrusage();
	return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1e3 + ($used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec']) / 1e3;
}
foreach (array('as3cf_aws_init_client_args', 'as3cf_aws_s3_client_args') as $filter) {
	add_filter($filter, function ($args) {
		return array('endpoint' => '%s', 'use_path_style_endpoint' => true) + $args;
	});
}
`, hookHeader, store.Endpoint)
	if err := os.WriteFile(filepath.Join(s.Dir, "wp-content/mu-plugins/bench.php"), []byte(hooks), 0o644); err != nil {
		return nil, fmt.Errorf("telling the plugin the bucket's address: %w", err)
	}
	_, err = s.Run(s.Load() + `
require_once ABSPATH . 'wp-admin/includes/plugin.php';
$error = activate_plugin('amazon-s3-and-cloudfront/wordpress-s3.php');
if (is_wp_error($error)) { fwrite(STDERR, $error->get_error_message()); exit(1); }
`)
	if err != nil {
		return nil, fmt.Errorf("activating the plugin: %w", err)
	}
	return s, nil
}
