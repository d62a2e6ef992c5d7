# 面向读者的页面文字。

skip-to-content = 跳到正文
nav-categories = 栏目
nav-pages = 分页
all-feeds = “{ $newsroom }”的全部订阅源
follow = 订阅
follow-what = 订阅“{ $what }”
follow-by-mail = 邮件
to-latest = 查看最新文章

latest = 最新文章
nothing-published = 尚未发布任何内容。
nothing-published-here = 这里尚未发布任何内容。
nothing-older = 没有更早的文章了。
older-articles = 更早的文章
older = 更早
newest = 最新
all-articles = 全部文章

article-by = 作者：{ $authors }
article-updated = 更新于 { $when }
article-tags = 标签：{ $tags }
article-source = 原文：{ $source }
article-comments = 评论
article-comments-counted = 评论：{ $count }
print = 打印
print-links = 链接

feed-heading = 订阅源：{ $title }
feed-about = 这是一个订阅源的地址。把它添加到阅读器，即可收到“{ $title }”的每一篇新文章。
feed-about-summary = 这是一个订阅源的地址。把它添加到阅读器，即可收到“{ $title }”每一篇新文章的摘要。
feed-archive = 这是存档的一部分，供读取历史内容的阅读器使用。
feed-copy = 复制地址
feed-copied = 已复制
feed-not-copied = 浏览器不允许
feed-also = 其他格式：
feed-no-reader = 没有阅读器？
feed-by-mail = 用邮件接收

search = 搜索
search-about = 栏目、标签、作者和语言的任意组合都有自己的页面和订阅源。
search-query = 查询
