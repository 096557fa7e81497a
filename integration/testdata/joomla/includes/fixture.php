<?php
// What the entry points of this stand-in for Joomla share. It does on disk and
// on the wire what Joomla 5 does; it is no CMS.

const DOCROOT = __DIR__ . '/..';
const TOKEN = 'd41d8cd98f00b204e9800998ecf8427e'; // of the only session
const API_TOKEN = 'c2hhMjU2OjQyOmZpeHR1cmU=';
const ADAPTERS = ['local-images' => 'images', 'local-files' => 'files'];
const PICTURES = ['jpg', 'jpeg', 'png', 'gif', 'webp'];

function site(): string
{
    return 'http://' . $_SERVER['HTTP_HOST'];
}

function database(): mysqli
{
    require DOCROOT . '/configuration.php'; // $socket and $name
    $db = new mysqli('localhost', $name, $name, $name, 0, $socket);
    $db->query('CREATE TABLE IF NOT EXISTS content (id INT PRIMARY KEY AUTO_INCREMENT, title TEXT, introtext MEDIUMTEXT, images TEXT)');
    return $db;
}

function article(int $id): array
{
    return database()->query('SELECT * FROM content WHERE id = ' . $id)->fetch_assoc() ?? ['id' => 0, 'title' => '', 'introtext' => '', 'images' => '{}'];
}

function redirect(string $target): never
{
    header('Location: ' . $target, true, 303);
    exit;
}

function refuse(int $status, string $message = ''): never
{
    http_response_code($status);
    echo json_encode(['success' => false, 'message' => $message, 'messages' => null, 'data' => null]);
    exit;
}

function e(string $text): string
{
    return htmlspecialchars($text, ENT_COMPAT, 'UTF-8');
}

// cleanImage is what Joomla shows of a field for pictures: no fragment.
function cleanImage(string $field): string
{
    return explode('#', $field)[0];
}
