<?php
// Files as the plugin "filesystem - local" treats them.

require_once __DIR__ . '/fixture.php';

// locate returns folder, path below it, and path on disk of
// "local-images:/a/b.jpg".
function locate(string $path): array
{
    [$adapter, $below] = explode(':', $path, 2) + [1 => ''];
    if (!isset(ADAPTERS[$adapter]) || str_contains($below, '..')) {
        refuse(400, 'Invalid path');
    }
    $below = trim($below, '/');
    $folder = ADAPTERS[$adapter];
    return [$adapter, $below, rtrim(DOCROOT . '/' . $folder . '/' . $below, '/')];
}

function safeName(string $name): string
{
    $name = preg_replace('/[^A-Za-z0-9._ -]/', '', $name);
    return pathinfo($name, PATHINFO_FILENAME) . '.' . strtolower(pathinfo($name, PATHINFO_EXTENSION));
}

function item(string $path, bool $url = false, bool $content = false): array
{
    [$adapter, $below, $file] = locate($path);
    if (is_dir($file)) {
        return ['type' => 'dir', 'name' => basename($below), 'path' => $adapter . ':/' . $below, 'extension' => '', 'size' => '', 'mime_type' => 'directory'];
    }
    if (!is_file($file)) {
        refuse(404);
    }
    $local = ADAPTERS[$adapter] . '/' . str_replace('%2F', '/', rawurlencode($below));
    $item = ['type' => 'file', 'name' => basename($below), 'path' => $adapter . ':/' . $below,
        'extension' => pathinfo($below, PATHINFO_EXTENSION), 'size' => filesize($file), 'mime_type' => mime_content_type($file)];
    if ($size = @getimagesize($file)) {
        [$item['width'], $item['height']] = $size;
        $item['thumb_path'] = site() . '/' . (thumbnail($adapter, $below, $file) ?? $local);
    }
    if ($url) {
        $item['url'] = site() . '/' . $local;
    }
    if ($content) {
        $item['content'] = base64_encode(file_get_contents($file));
    }
    return $item;
}

// thumbnail makes the small picture that the media manager shows, if that is
// switched on.
function thumbnail(string $adapter, string $below, string $file): ?string
{
    if (!is_file(DOCROOT . '/thumbs')) {
        return null;
    }
    $local = 'media/cache/com_media/thumbs/' . ADAPTERS[$adapter] . '/' . $below;
    if (!is_file(DOCROOT . '/' . $local)) {
        @mkdir(dirname(DOCROOT . '/' . $local), 0755, true);
        imagejpeg(imagescale(imagecreatefromstring(file_get_contents($file)), 200), DOCROOT . '/' . $local);
    }
    return $local;
}

function remove(string $file): void
{
    if (is_dir($file)) {
        foreach (array_diff(scandir($file), ['.', '..']) as $name) {
            remove($file . '/' . $name);
        }
        rmdir($file);
        return;
    }
    chmod($file, 0777);
    unlink($file);
}

// store writes a file as Joomla does: whether the content may be taken is found
// out from a temporary file that lies in the media folder and looks like any
// other.
function store(string $file, string $content): void
{
    if (!is_dir(dirname($file))) {
        mkdir(dirname($file), 0755, true);
    }
    $extension = pathinfo($file, PATHINFO_EXTENSION);
    $temporary = dirname($file) . '/' . uniqid() . '.' . $extension;
    file_put_contents($temporary, $content);
    $good = !in_array($extension, PICTURES) || getimagesize($temporary);
    remove($temporary);
    if (!$good) {
        refuse(403, 'Not a valid image.');
    }
    file_put_contents($file, $content);
}

function copyAll(string $from, string $to): void
{
    if (!is_dir($from)) {
        copy($from, $to);
        return;
    }
    mkdir($to);
    foreach (array_diff(scandir($from), ['.', '..']) as $name) {
        copyAll($from . '/' . $name, $to . '/' . $name);
    }
}
