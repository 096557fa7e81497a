<?php
// The front end: the article, the front page with all articles, their feeds.

require __DIR__ . '/includes/fixture.php';

$articles = isset($_GET['id']) ? [article((int) $_GET['id'])] : database()->query('SELECT * FROM content')->fetch_all(MYSQLI_ASSOC);
switch ($_GET['type'] ?? '') {
    case 'rss':
        header('Content-Type: application/rss+xml; charset=utf-8');
        feed($articles, fn ($text) => '<![CDATA[' . $text . ']]>');
        break;
    case 'atom':
        header('Content-Type: application/atom+xml; charset=utf-8');
        feed($articles, fn ($text) => e($text));
        break;
    default:
        html($articles);
}

function images(array $article): array
{
    return array_map('cleanImage', json_decode($article['images'], true));
}

// html is a page: pictures of the fields are relative to the document, those of
// texts begin with a slash.
function html(array $articles): void
{
    echo '<!DOCTYPE html><html><head><title>Fixture</title></head><body><img src="/media/templates/site/fixture/images/logo.svg" alt="">';
    foreach ($articles as $article) {
        $intro = images($article)['image_intro'];
        echo '<h2>', e($article['title']), '</h2><figure><img src="', e($intro), '" srcset="', e($intro), ' 600w" alt="" loading="lazy" width="600" data-path="local-images:/hero image.jpg"></figure>',
            preg_replace('#(src|href)="images/#', '$1="/images/', $article['introtext']),
            '<script type="application/ld+json">', json_encode(['@type' => 'Article', 'image' => $intro], JSON_UNESCAPED_SLASHES), '</script>';
    }
    echo '</body></html>';
}

// feed writes the picture of the field in full, and with one slash too many
// what begins with a slash.
function feed(array $articles, callable $quote): void
{
    echo '<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>Fixture</title>';
    foreach ($articles as $article) {
        $text = '<p><img src="' . site() . '/' . images($article)['image_intro'] . '" alt=""></p>' .
            preg_replace('#(src|href)="images/#', '$1="' . site() . '//images/', $article['introtext']);
        echo '<item><title>', e($article['title']), '</title><description>', $quote($text), '</description></item>';
    }
    echo '</channel></rss>';
}
