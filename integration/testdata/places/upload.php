<?php
// Stores media: the body is a JSON object of names below the media root and
// contents in Base64.

foreach (json_decode(file_get_contents('php://input'), true) as $name => $content) {
    $file = __DIR__ . "/wp-content/uploads/$name";
    @mkdir(dirname($file), 0755, true);
    file_put_contents($file, base64_decode($content));
}
echo 'stored';
