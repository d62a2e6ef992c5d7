# Тексты писем. $newsroom — название редакции, $wanted — на что оформлена подписка.

wanted-everything = все материалы
often =
    { $every ->
        [instant] Каждый новый материал приходит отдельным письмом.
        [weekly] Всё новое приходит одним письмом раз в неделю: { $days }, { $hour } ({ $zone }).
        [days] Всё новое приходит одним письмом в день: { $days }, { $hour } ({ $zone }).
       *[daily] Всё новое приходит одним письмом в день, в { $hour } ({ $zone }).
    }
test-subject = Проба: { $subject }
labelled = { $label }: { $link }

mail-read = Читать
mail-rest = Дальше
mail-print = Версия для печати
mail-why = Вы получаете это письмо, потому что подписаны на рассылку «{ $newsroom }» ({ $wanted }).
mail-unsubscribe = Отписаться
mail-unsubscribe-or-change = Отписаться или изменить подписку
mail-change = Изменить подписку можно по той же ссылке.

digest-subject =
    { $newsroom }: { $title }{ $others ->
        [0] {""}
        [one] {" "}и ещё { $others } материал
        [few] {" "}и ещё { $others } материала
       *[many] {" "}и ещё { $others } материалов
    }
digest-fold =
    Новостей за день было больше обычного. Отдельными письмами мы присылаем не больше { $count } в день, остальное собрано здесь.
digest-more =
    { $count ->
        [one] И ещё { $count } материал
        [few] И ещё { $count } материала
       *[many] И ещё { $count } материалов
    }

correction-subject = Исправление: { $title }
correction-what = В прошлом письме «{ $newsroom }» была ошибка. Вот как правильно.

confirmation-subject = { $newsroom }: подтвердите подписку
confirmation-asked =
    Кто-то — скорее всего, вы — попросил присылать новые материалы «{ $newsroom }» на адрес { $address }: { $wanted }.
confirmation-how = Чтобы подтвердить, откройте эту страницу и нажмите на ней кнопку:
confirmation-link = Подтвердить подписку
confirmation-lasts =
    { $days ->
        [one] Ссылка действует { $days } день.
        [few] Ссылка действует { $days } дня.
       *[many] Ссылка действует { $days } дней.
    }
confirmation-not-you = Если это были не вы, ничего не делайте: без подтверждения ничего не изменится.
confirmation-never = Больше никогда не спрашивать

farewell-subject = { $newsroom }: вы отписались
farewell-what = На адрес { $address } больше не будут приходить письма «{ $newsroom }»: { $wanted }.
farewell-was-you = Если отписались вы сами, больше ничего делать не нужно.
farewell-not-you =
    Если нет — например, письмо со ссылкой кому-то переслали, — подписку можно вернуть до { $until } года:
farewell-undo = Вернуть подписку
farewell-erased =
    После этого сведения о подписке будут удалены, а с ними и сам адрес, если других подписок на нём нет.

link-subject = { $newsroom }: ссылка на ваши настройки
link-what = Здесь можно посмотреть и изменить, что «{ $newsroom }» присылает на адрес { $address }:
link-open = Открыть настройки
link-lasts =
    { $hours ->
        [one] Ссылка действует { $hours } час.
        [few] Ссылка действует { $hours } часа.
       *[many] Ссылка действует { $hours } часов.
    } По ней можно изменить ваши подписки, поэтому никому её не пересылайте.
link-not-you = Если вы не просили эту ссылку, ничего не делайте.
