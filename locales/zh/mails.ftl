# 邮件文字。$newsroom 是编辑部名称，$wanted 是订阅内容。

wanted-everything = 全部内容
often =
    { $every ->
        [instant] 每篇新文章单独发送一封邮件。
        [weekly] 新内容每周汇总为一封邮件：{ $days } { $hour }（{ $zone }）。
        [days] 新内容每天汇总为一封邮件：{ $days } { $hour }（{ $zone }）。
       *[daily] 新内容每天汇总为一封邮件，于 { $hour }（{ $zone }）发送。
    }
test-subject = 测试：{ $subject }
labelled = { $label }：{ $link }

mail-read = 阅读全文
mail-rest = 阅读余下内容
mail-print = 打印版
mail-why = 您收到这封邮件，是因为此邮箱订阅了“{ $newsroom }”（{ $wanted }）。
mail-unsubscribe = 退订
mail-unsubscribe-or-change = 退订或更改订阅
mail-change = 更改订阅也请使用上面的链接。

digest-subject =
    { $newsroom }：{ $title }{ $others ->
        [0] {""}
       *[other] {" "}等，另有 { $others } 篇
    }
digest-fold = 一天内的新闻较多：单独发送的邮件每天最多 { $count } 封，其余内容汇总在这封邮件里。
digest-more = 另有 { $count } 篇

correction-subject = 更正：{ $title }
correction-what = “{ $newsroom }”此前发给您的内容有误，现更正如下。

confirmation-subject = { $newsroom }：请确认您的订阅
confirmation-asked = 有人（很可能就是您本人）请求将“{ $newsroom }”的新文章发送到 { $address }：{ $wanted }。
confirmation-how = 如需确认，请打开以下页面并点击其中的按钮：
confirmation-link = 确认订阅
confirmation-lasts = 此链接在 { $days } 天内有效。
confirmation-not-you = 如果不是您本人操作，请忽略此邮件；未经您确认，一切保持不变。
confirmation-never = 不要再询问我

farewell-subject = { $newsroom }：您已退订
farewell-what = { $address } 不会再收到“{ $newsroom }”的以下邮件：{ $wanted }。
farewell-was-you = 如果是您本人操作，则无需理会。
farewell-not-you = 如果不是（例如邮件连同其中的链接被转发给了别人），您可以在{ $until }之前恢复订阅：
farewell-undo = 恢复订阅
farewell-erased = 此后，这条订阅记录将被删除；如果此邮箱没有其他订阅，邮箱地址也会一并删除。

link-subject = { $newsroom }：您的订阅设置链接
link-what = 您可以在这里查看和更改“{ $newsroom }”发送到 { $address } 的内容：
link-open = 打开订阅设置
link-lasts = 此链接在 { $hours } 小时内有效。任何人拿到它都能更改您的订阅，请勿转发。
link-not-you = 如果不是您本人请求的，请忽略此邮件。
