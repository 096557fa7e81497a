<?php
// The administrator's screens: the form to log in, the user, articles, and the
// API of the media manager.

require __DIR__ . '/../includes/media.php';

if (($_POST['passwd'] ?? '') === 'password') {
    setcookie('session', TOKEN);
    redirect('/administrator/index.php');
}
if (($_COOKIE['session'] ?? '') !== TOKEN) {
    page('<form action="/administrator/index.php" method="post"><input name="username"><input name="passwd" type="password"></form>');
}
switch (($_GET['option'] ?? '') . ' ' . ($_POST['task'] ?? $_GET['task'] ?? '')) {
    case 'com_media api.files':
        files($_SERVER['REQUEST_METHOD'], $_GET['path'] ?? '');
    case 'com_users user.apply':
        redirect('/administrator/index.php?option=com_users&view=user&layout=edit&saved=1');
    case 'com_users user.edit':
        redirect('/administrator/index.php?option=com_users&view=user&layout=edit');
    case 'com_content article.add':
        redirect('/administrator/index.php?option=com_content&view=article&layout=edit');
    case 'com_content article.edit':
        redirect('/administrator/index.php?option=com_content&view=article&layout=edit&id=' . (int) $_GET['id']);
    case 'com_content article.apply':
        redirect('/administrator/index.php?option=com_content&view=article&layout=edit&id=' . save($_POST['jform']));
}
switch ($_GET['view'] ?? '') {
    case 'users':
        page('<a href="/administrator/index.php?option=com_users&amp;task=user.edit&amp;id=42">Admin</a>');
    case 'user':
        $token = isset($_GET['saved']) ? '<input name="jform[joomlatoken][token]" value="' . API_TOKEN . '" readonly>' : '';
        page('<form><input name="jform[username]" value="admin">' . $token . '</form>');
    case 'article':
        page(form(article((int) ($_GET['id'] ?? 0))));
}
page('<h1>Home Dashboard</h1>');

function page(string $content): never
{
    echo '<!DOCTYPE html><html><head><script type="application/json" class="joomla-script-options new">{"csrf.token":"' . TOKEN .
        '","media-picker-api":{"apiBaseUrl":"' . json(site()) . '\/administrator\/index.php?option=com_media&format=json"}}</script></head><body>' . $content . '</body></html>';
    exit;
}

function json(string $text): string
{
    return substr(json_encode($text), 1, -1);
}

function form(array $article): string
{
    $images = json_decode($article['images'], true) + ['image_intro' => '', 'image_fulltext' => ''];
    return '<form method="post"><input name="jform[id]" value="' . $article['id'] . '"><input name="jform[title]" value="' . e($article['title']) . '">' .
        '<input name="jform[images][image_intro]" value="' . e($images['image_intro']) . '">' .
        '<input name="jform[images][image_fulltext]" value="' . e($images['image_fulltext']) . '">' .
        '<div class="field-media-preview"><img src="' . e(site() . '/' . cleanImage($images['image_intro'])) . '"></div>' .
        '<textarea name="jform[articletext]">' . e($article['introtext']) . '</textarea><input type="hidden" name="task" value=""></form>';
}

function save(array $form): int
{
    $db = database();
    $images = json_encode($form['images']);
    $id = (int) $form['id'] ?: null;
    // TinyMCE makes URLs of the site relative.
    $text = str_replace([site() . '/', '"/images/'], ['', '"images/'], $form['articletext']);
    $statement = $db->prepare('REPLACE INTO content (id, title, introtext, images) VALUES (?, ?, ?, ?)');
    $statement->execute([$id, $form['title'], $text, $images]);
    return $id ?? $db->insert_id;
}

// files is the API of the media manager: JSON comes in, and goes out as
// text/html.
function files(string $method, string $path): never
{
    $body = json_decode(file_get_contents('php://input'), true) ?? [];
    if (($_SERVER['HTTP_X_CSRF_TOKEN'] ?? '') !== TOKEN || $method !== 'GET' && !isset($body[TOKEN])) {
        refuse(403, 'The security token did not match.');
    }
    [, , $file] = locate($path);
    $data = null;
    switch ($method) {
        case 'GET':
            if (!file_exists($file)) {
                refuse(404);
            }
            $data = is_dir($file) ? listing($path, $file) : item($path, isset($_GET['url']), isset($_GET['content']));
            break;
        case 'POST':
            $data = create(rtrim($path, '/') . '/', $body);
            break;
        case 'PUT':
            $data = change($path, $file, $body);
            break;
        case 'DELETE':
            if (!file_exists($file)) {
                refuse(404);
            }
            remove($file);
    }
    echo json_encode(['success' => true, 'message' => null, 'messages' => null, 'data' => $data]);
    exit;
}

function listing(string $path, string $folder): array
{
    return array_map(fn ($name) => item(rtrim($path, '/') . '/' . $name), array_values(array_diff(scandir($folder), ['.', '..'])));
}

function create(string $folder, array $body): array
{
    $content = base64_decode($body['content'] ?? '');
    if (file_exists(locate($folder . $body['name'])[2]) && empty($body['override'])) {
        refuse(409);
    }
    if ($content === '') {
        mkdir(locate($folder . $body['name'])[2]);
        return item($folder . $body['name']);
    }
    $name = safeName($body['name']);
    store(locate($folder . $name)[2], $content);
    return item($folder . $name, isset($_GET['url']));
}

function change(string $path, string $file, array $body): array
{
    if (!file_exists($file)) {
        refuse(404);
    }
    if (isset($body['content'])) {
        store($file, base64_decode($body['content']));
        return item($path);
    }
    [, , $target] = locate($body['newPath']);
    if (file_exists($target)) {
        refuse(409);
    }
    $body['move'] ? rename($file, $target) : copyAll($file, $target);
    return item($body['newPath']);
}
