<?php
// What apps do with names: a POST links a file under a second one, or writes through
// that; a GET makes a picture under a temporary name and renames it.

$dir = __DIR__ . '/wp-content/uploads/2026/11';
@mkdir($dir, 0755, true);
$ok = match ($_GET['do']) {
    'link' => file_put_contents("$dir/first.jpg", 'first') && link("$dir/first.jpg", "$dir/second.jpg"),
    'write' => file_put_contents("$dir/second.jpg", 'written through the second name', FILE_APPEND),
    'move' => rename("$dir/first.jpg", "$dir/third.jpg"),
    'make' => file_put_contents("$dir/tmp-made.jpg", 'made') && rename("$dir/tmp-made.jpg", "$dir/made.jpg"),
};
http_response_code($ok ? 200 : 500);
