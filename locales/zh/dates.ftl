# 日期与列举。$day 和 $year 是文本，$month 是数字。

date = { $year }年{ $month }月{ $day }日
moment = { date } { $time }
weekday =
    { $day ->
        [Mon] 星期一
        [Tue] 星期二
        [Wed] 星期三
        [Thu] 星期四
        [Fri] 星期五
        [Sat] 星期六
       *[Sun] 星期日
    }
list-separator = 、
language-name = 中文
