# Тексты страниц для читателей.

skip-to-content = Перейти к содержанию
nav-categories = Рубрики
nav-pages = Страницы
all-feeds = Все ленты «{ $newsroom }»
follow = Подписаться
follow-what = Подписаться на «{ $what }»
follow-by-mail = по почте
to-latest = К последним материалам

latest = Последнее
nothing-published = Пока ничего не опубликовано.
nothing-published-here = Здесь пока ничего не опубликовано.
nothing-older = Более ранних материалов нет.
older-articles = Более ранние материалы
older = Раньше
newest = К новым
all-articles = Все материалы

article-by = Текст: { $authors }
article-updated = Обновлено { $when }
article-tags = Теги: { $tags }
article-source = Источник: { $source }
article-comments = Комментарии
article-comments-counted = Комментарии: { $count }
print = Печать
print-links = Ссылки

feed-heading = Лента: { $title }
feed-about =
    Это адрес ленты. Добавьте его в программу для чтения лент, и все новые материалы «{ $title }» будут приходить к вам сами.
feed-about-summary =
    Это адрес ленты. Добавьте его в программу для чтения лент, и краткое изложение каждого нового материала «{ $title }» будет приходить к вам само.
feed-archive = Это часть архива: она нужна программам, которые загружают и прошлые материалы.
feed-copy = Скопировать адрес
feed-copied = Скопировано
feed-not-copied = Браузер не разрешил
feed-also = Также в форматах
feed-no-reader = Нет такой программы?
feed-by-mail = Получать по почте

search = Поиск
search-about = У любого сочетания рубрик, тегов, авторов и языков есть своя страница и свои ленты.
search-query = Запрос
