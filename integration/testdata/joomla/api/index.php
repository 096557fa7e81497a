<?php
// The web services API for media: it answers with the whole file again.

require __DIR__ . '/../includes/media.php';

header('Content-Type: application/vnd.api+json; charset=utf-8');
if (($_SERVER['HTTP_X_JOOMLA_TOKEN'] ?? '') !== API_TOKEN) {
    fail(401, 'Forbidden');
}
$body = json_decode(file_get_contents('php://input'), true) ?? [];
$path = $body['path'] ?? substr($_SERVER['PATH_INFO'], strlen('/v1/media/files/'));
[, , $file] = locate($path);
switch ($_SERVER['REQUEST_METHOD']) {
    case 'POST':
        if (file_exists($file) && empty($body['override'])) {
            fail(400, 'File exists and overwriting not requested');
        }
        // fall through
    case 'PATCH':
        store($file, base64_decode($body['content']));
        break;
    case 'DELETE':
        remove($file);
        http_response_code(204);
        exit;
}
echo json_encode(['data' => ['type' => 'media', 'id' => $path, 'attributes' => item($path, true, true)]]);

function fail(int $status, string $title): never
{
    http_response_code($status);
    echo json_encode(['errors' => [['title' => $title, 'code' => $status]]]);
    exit;
}
