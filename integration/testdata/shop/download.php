<?php
// What a shop does: a POST stores goods in a folder that is closed, a GET hands
// them out to who has paid.

const GOODS = '/wp-content/uploads/woocommerce_uploads/2026/11/';

$file = GOODS . basename($_GET['file']);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    @mkdir(dirname(__DIR__ . $file), 0755, true);
    file_put_contents(__DIR__ . '/wp-content/uploads/woocommerce_uploads/.htaccess', 'deny from all');
    file_put_contents(__DIR__ . $file, file_get_contents('php://input'));
    exit('stored');
}
if (($_COOKIE['paid'] ?? '') !== 'yes') {
    http_response_code(403);
    exit('Sorry, you do not have permission to download this file.');
}
header('Content-Type: application/pdf');
header('Content-Disposition: attachment; filename="' . basename($file) . '"');
if ($_GET['by'] === 'X-Sendfile') {
    header('X-Sendfile: ' . __DIR__ . $file);
} else {
    header($_GET['by'] . ': ' . str_replace('%2F', '/', rawurlencode($file)));
}
