# 出错时的页面文字：标题、说明，以及表单字段旁的提示。

heading-not-found = 未找到
heading-gone = 已不在此处
heading-not-allowed = 没有权限
heading-too-large = 内容过大
heading-too-many = 请求过多
heading-not-now = 暂时无法完成
heading-broken = 服务器出错
heading-failed = 操作未成功
there-is = 现有栏目：

problem-not-found = 此地址没有页面。
problem-no-article = 此地址没有文章。
problem-gone = 这里的内容已不存在。
problem-withdrawn = 发布这篇文章的编辑部已将其撤回。
problem-not-allowed = 不允许进行此操作。
problem-too-large = 发送的内容超出了可接收的大小。
problem-too-many = 目前请求过多，请稍后再试。
problem-not-now = 目前无法完成，请稍后再试。
problem-broken = 服务器出现故障，原因已记入日志。
problem-failed = 请返回后重试。
problem-method = 此地址不支持这种访问方式。
problem-link-unknown = 这不是我们的链接，或链接不完整。
problem-link-newer = 在此之后我们又发送了一封邮件，请使用新邮件中的链接。
problem-link-lapsed = 此链接已过期，请重新申请。
problem-link-ended = 此订阅已终止，请重新申请。
problem-link-anew = 此订阅后来又被重新申请，请使用新邮件中的链接。
problem-press-button = 没有任何更改：请打开邮件中的链接，并点击页面上的按钮。

fault-address = “{ $found }”不是有效的邮箱地址，正确的形式如 reader@example.org。
fault-address-missing = 请填写邮箱地址，例如 reader@example.org。
fault-what = 请选择全部内容，或至少一个栏目。
fault-category = 这里没有栏目“{ $found }”。
fault-query = 查询从第 { $at } 个字符起无法识别。
fault-cadence = 请选择发送频率。
fault-hour = 请选择时间。
fault-days = 请选择星期几。
fault-time-zone = “{ $found }”不是有效的时区，正确的形式如 Asia/Shanghai 或 Europe/Berlin。
fault-language = 请选择一种语言。
fault-sure = 请勾选“我确定”。
fault-button = 请使用本页的按钮。
fault-too-many = 每个邮箱最多可有 { $count } 个订阅。
fault-other = 此处有误：“{ $found }”。
