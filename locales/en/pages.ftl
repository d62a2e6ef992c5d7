# What stands on the pages for the public.

skip-to-content = Skip to the content
nav-categories = Categories
nav-pages = Pages
all-feeds = All feeds of { $newsroom }
follow = Follow
follow-what = Follow { $what }
follow-by-mail = by mail
to-latest = To the latest articles

latest = Latest
nothing-published = Nothing has been published yet.
nothing-published-here = Nothing has been published here yet.
nothing-older = Nothing older than this.
older-articles = Older articles
older = Older
newest = Newest
all-articles = All articles

article-by = By { $authors }
article-updated = Updated { $when }
article-tags = Tags: { $tags }
article-source = Originally at { $source }
article-comments = Comments
article-comments-counted = Comments: { $count }
print = Print
print-links = Links

feed-heading = Feed: { $title }
feed-about =
    This is the address of a feed. Give it to a feed reader, and each new article of { $title } comes to you.
feed-about-summary =
    This is the address of a feed. Give it to a feed reader, and each new article of { $title } comes to you, as a summary.
feed-archive = This one is a part of its archive, for readers that fetch its history.
feed-copy = Copy address
feed-copied = Copied
feed-not-copied = Not allowed
feed-also = Also as
feed-no-reader = No feed reader?
feed-by-mail = Get it by e-mail

search = Search
search-about = Any mix of categories, tags, authors and languages has a page and feeds of its own.
search-query = Query
