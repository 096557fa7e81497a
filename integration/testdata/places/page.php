<?php
// A page of the site: what the test has put into pages/, with the site's own
// address in place of {site}.

$page = __DIR__ . '/pages/' . basename($_GET['name']);
foreach (file("$page.headers", FILE_IGNORE_NEW_LINES) as $line) {
    header($line);
}
echo str_replace('{site}', 'http://' . $_SERVER['HTTP_HOST'], file_get_contents("$page.body"));
